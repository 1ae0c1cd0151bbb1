"""From what nets and readers said of lesions to counts, with what is too small held back."""

"""From a hospital's export to what is in it: exams and clips without identity, and a draft of the table."""

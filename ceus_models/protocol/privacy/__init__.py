"""What coordinator and site compute alike to protect a sum: whole numbers, masks, shares, noise and its price."""

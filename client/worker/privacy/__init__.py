"""What hides a patient: a site answers its approved plan, each round once, and all that leaves passes one release."""

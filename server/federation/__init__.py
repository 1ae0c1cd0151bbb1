"""Who belongs to a federation: certificates, sites, enrolment, the front door."""

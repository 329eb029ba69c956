"""Programs that show Blaze at work; each folder has a README."""

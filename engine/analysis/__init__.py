"""What is found out about finished work: verification, comparison, spectra, other ranks, quality."""

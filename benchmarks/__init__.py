"""What this costs against a yardstick in the same run: ``make bench`` prints one table of ratios."""

"""What `tally doctor` looks at. Facts are gathered in one place, judged by pure functions in another."""

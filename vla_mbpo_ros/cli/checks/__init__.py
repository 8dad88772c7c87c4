"""What `vla-mbpo doctor` looks at. Each file gives `checks()`; they never raise and change nothing."""

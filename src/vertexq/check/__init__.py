"""The check: what Google's import would refuse, found before anything is sent. No I/O."""

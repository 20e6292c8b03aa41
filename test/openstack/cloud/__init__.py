"""An OpenStack out of Debian's packages, run on loopback by plain processes, for the tests to talk to."""

"""What tests of Seamwork stand on: case files, short builders of records, the simulated log."""

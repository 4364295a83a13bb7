"""What tests of several members share: real servers, and waiting for conditions."""

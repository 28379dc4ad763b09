"""What tests need around the program: an upstream that does as it is told, and a gateway to send requests to."""

"""What a whole run will cost, estimated before anything is decoded (`s1 plan`)."""

"""How good each model is for each kind of request: learned from outcomes, judged on outcomes that were held out."""

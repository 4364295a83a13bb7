"""The learned predictor of each workspace: checked, kept in versions, published to the edges."""

"""The page that `app.py` serves."""

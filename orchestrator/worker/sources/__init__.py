"""Where models and plugins lie, and the environments they run in; imports none of them."""

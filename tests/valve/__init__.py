"""The valve treatments and their flow, against oracles written apart from them."""

"""One child, kept in: every way to fail or die, and every way out that is closed."""

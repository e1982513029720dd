fine = 1

def half(

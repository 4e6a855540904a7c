"""IonQ's simulator and quantum computers, through IonQ's API v0.4 or a server that speaks it."""

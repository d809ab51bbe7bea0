"""The claims, one file each: data, and a pure check. A new claim is a new file."""

"""What one uses or writes by hand instead of the library."""

"""What more than one room needs and no user sees: nothing here imports a room."""

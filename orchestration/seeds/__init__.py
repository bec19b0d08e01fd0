"""The seeds as people edit them, checked before a build changes anything."""

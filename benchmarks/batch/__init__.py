"""How a batch scales: measured on one machine, and by arithmetic on many."""

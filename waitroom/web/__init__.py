"""What a student sees of us: pages, status answers and problem documents."""

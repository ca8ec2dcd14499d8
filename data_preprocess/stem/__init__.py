"""Natural sciences and other disciplines: multiple choice, and short answers that a judge compares."""

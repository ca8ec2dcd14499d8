"""Drivers: main_ppo and main_sft, and what they are made of."""

"""Attributes of houses: the heading, how the house is called by the value, and the values; no value comes twice."""

from typing import NamedTuple


class Attribute(NamedTuple):
    """`house` has one `{}` for the value and reads well after "is the same as" and at the start of a sentence."""

    house: str
    values: tuple[str, ...]


ATTRIBUTES = {name: Attribute(house, tuple(values.split())) for name, house, values in (
    ("Name", "{}'s house",
     "Alma Bruno Carla Dmitri Elif Farid Greta Hugo Ines Jonas Keiko Lena"),
    ("Color", "the {} house",
     "red blue green yellow white black purple brown pink gray teal beige"),
    ("Nationality", "the house of the {} neighbor",
     "Norwegian Brazilian Kenyan Indian Canadian Greek Peruvian Irish Thai Egyptian Korean Polish"),
    ("Pet", "the house with the {}",
     "cat dog parrot rabbit hamster turtle goldfish ferret lizard pony hedgehog canary"),
    ("Drink", "the house where {} is served",
     "tea coffee milk water cocoa lemonade cider kefir espresso punch soda kombucha"),
    ("Job", "the house of the {}",
     "nurse carpenter pilot teacher baker lawyer plumber farmer dentist painter librarian tailor"),
    ("Hobby", "the house where {} is the hobby",
     "chess gardening photography knitting fishing hiking pottery cycling yoga archery origami dancing"),
    ("Flower", "the house with the {} at the door",
     "rose tulip lily daisy orchid iris peony lavender sunflower carnation violet poppy"),
    ("Instrument", "the house where the {} is played",
     "piano violin flute guitar cello trumpet harp clarinet oboe banjo accordion tuba"),
    ("Vehicle", "the house with the {} outside",
     "van truck scooter bicycle tractor motorcycle taxi jeep tricycle minibus camper convertible"),
)}  # yapf: disable

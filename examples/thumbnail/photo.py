"""Makes the demo's photo, and looks at what comes back. Run with Pillow on PYTHONPATH:

python photo.py make harbour.jpg     a 4000 x 3000 JPEG: hills and a sea in evening light, with the grain of film
python photo.py look harbour.jpg     prints width, height and format, having decoded every pixel
"""

import itertools
import math
import random
import sys

from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT = 4000, 3000
HORIZON = 1900
SUN = (2650, 1520)


def vertical_gradient(size, stops):
    """A gradient from top to bottom through `stops`: (position from 0 to 1, (red, green, blue))."""
    column = Image.new("RGB", (1, 512))
    for y in range(512):
        at = y / 511
        upper = max(stop for stop in stops if stop[0] <= at)
        lower = min(stop for stop in stops if stop[0] >= at)
        share = 0 if upper[0] == lower[0] else (at - upper[0]) / (lower[0] - upper[0])
        column.putpixel((0, y), tuple(round(a + (b - a) * share) for a, b in zip(upper[1], lower[1])))
    return column.resize(size, Image.BICUBIC)


def glow(centre, radius, colour):
    """Light around a point, to be laid over the picture."""
    disc = ImageChops.invert(Image.radial_gradient("L")).resize((radius * 2, radius * 2), Image.BICUBIC)
    disc = disc.point(lambda level: round(255 * (max(0, level - 75) / 180) ** 2))
    light = Image.new("RGB", (WIDTH, HEIGHT))
    tinted = Image.merge("RGB", [disc.point(lambda level, part=part: level * part // 255) for part in colour])
    light.paste(tinted, (centre[0] - radius, centre[1] - radius))
    return light


def ridge(chance, base, height, roughness):
    """The outline of a range of hills, by midpoint displacement, as a polygon down to the horizon."""
    points = [chance.uniform(-0.3, 0.3), chance.uniform(-0.3, 0.3)]
    spread = 1.0
    while len(points) < 1000:
        between = [(a + b) / 2 + chance.uniform(-spread, spread) / 2 for a, b in itertools.pairwise(points)]
        points = [value for pair in zip(points, between) for value in pair] + points[-1:]
        spread *= roughness
    step = WIDTH / (len(points) - 1)
    outline = [(index * step, base - value * height) for index, value in enumerate(points)]
    return [(0, HORIZON), *outline, (WIDTH, HORIZON)]


def make(path):
    chance = random.Random(1886)
    sky_colours = [(0, (28, 42, 84)), (0.45, (128, 92, 128)), (0.72, (232, 142, 96)), (1, (255, 206, 138))]
    photo = vertical_gradient((WIDTH, HORIZON), sky_colours)
    canvas = Image.new("RGB", (WIDTH, HEIGHT))
    canvas.paste(photo, (0, 0))
    clouds = Image.effect_noise((26, 80), 110).resize((WIDTH, HORIZON), Image.BICUBIC)
    clouds = clouds.filter(ImageFilter.BoxBlur(30)).point(lambda level: max(0, level - 132) * 3)
    canvas.paste(
        Image.new("RGB", (WIDTH, HORIZON), (255, 176, 140)), (0, 0), clouds.point(lambda level: level * 2 // 5)
    )
    canvas = ImageChops.screen(canvas, glow(SUN, 1900, (190, 110, 50)))
    canvas = ImageChops.screen(canvas, glow(SUN, 640, (255, 226, 160)))
    ImageDraw.Draw(canvas).ellipse([SUN[0] - 92, SUN[1] - 92, SUN[0] + 92, SUN[1] + 92], fill=(255, 246, 214))
    canvas = canvas.filter(ImageFilter.GaussianBlur(2))
    # Far hills are pale and near ones dark: what air does to distance.
    for depth in range(5):
        near = depth / 4
        colour = tuple(round(far + (close - far) * near) for far, close in zip((214, 140, 118), (34, 30, 48)))
        hills = ridge(chance, 1610 + depth * 68, 250 - depth * 22, 0.48)
        mask = Image.new("L", (WIDTH, HEIGHT))
        ImageDraw.Draw(mask).polygon(hills, fill=255)
        canvas.paste(colour, (0, 0, WIDTH, HEIGHT), mask.filter(ImageFilter.GaussianBlur(2.5 - near * 2)))
    # The sea: the picture above the horizon upside down, darker, torn into waves that grow towards the eye.
    depth = HEIGHT - HORIZON
    mirror = canvas.crop((0, HORIZON - depth, WIDTH, HORIZON)).transpose(Image.FLIP_TOP_BOTTOM)
    water = Image.new("RGB", (WIDTH, depth))
    y = 0
    while y < depth:
        wave = 2 + y // 60
        shift = round(math.sin(y * 0.21) * (3 + y * 0.025) + chance.uniform(-1, 1) * (2 + y * 0.03))
        water.paste(mirror.crop((0, y, WIDTH, min(y + wave, depth))), (shift, y))
        water.paste(mirror.crop((0, y, abs(shift), min(y + wave, depth))), (0 if shift > 0 else WIDTH + shift, y))
        y += wave
    shade = vertical_gradient((WIDTH, depth), [(0, (212, 196, 200)), (1, (70, 84, 120))])
    canvas.paste(ImageChops.multiply(water.filter(ImageFilter.GaussianBlur(1.5)), shade), (0, HORIZON))
    grain = Image.effect_noise((WIDTH, HEIGHT), 14)
    canvas = Image.blend(canvas, ImageChops.overlay(canvas, Image.merge("RGB", [grain] * 3)), 0.55)
    canvas.save(path, quality=92)


def look(path):
    with Image.open(path) as image:
        image.load()
        print(image.size[0], image.size[1], image.format)


if __name__ == "__main__":
    {"make": make, "look": look}[sys.argv[1]](sys.argv[2])

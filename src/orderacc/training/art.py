"""Draws the simulator's two picture sheets from fonts: `python -m orderacc.training art OUT_DIR`.

The sheets are in the package, so nobody needs to run this to use the simulator. It wants Pillow and the Debian packages
fonts-noto-color-emoji, fonts-inconsolata, fonts-courier-prime, fonts-liberation2 and fonts-anonymous-pro.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

EMOJI_FONT: Final = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
EMOJI_SIZE: Final = 109
"""The one bitmap size the font holds, in pixels."""

SPRITES: Final = ("🍔", "🍟", "🥤", "🍗", "🌭", "🍕", "🌮", "🌯", "🥗", "🍩", "🍪", "☕")
"""One per item group, in the order of the demo menu's groups."""

CELL: Final = 160
"""Side of one sprite's cell in pixels."""

RECEIPT_FONTS: Final = (
    "/usr/share/fonts/truetype/inconsolata/Inconsolata.otf",
    "/usr/share/fonts/opentype/courier-prime/Courier Prime Bold.otf",
    "/usr/share/fonts/truetype/liberation2/LiberationMono-Bold.ttf",
    "/usr/share/fonts/truetype/anonymous-pro/Anonymous Pro B.ttf",
)
GLYPH_HEIGHT: Final = 64
GLYPH_WIDTH: Final = 36


def draw_sprites(out: Path) -> None:
    """Write `sprites.png`: one row of RGBA cells of `CELL` pixels, each sprite filling its cell."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(str(EMOJI_FONT), EMOJI_SIZE)
    sheet = Image.new("RGBA", (CELL * len(SPRITES), CELL), (0, 0, 0, 0))
    for column, emoji in enumerate(SPRITES):
        canvas = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
        ImageDraw.Draw(canvas).text((20, 20), emoji, font=font, embedded_color=True)
        sprite = canvas.crop(canvas.getbbox())
        scale = (CELL - 4) / max(sprite.size)
        sprite = sprite.resize((round(sprite.width * scale), round(sprite.height * scale)), Image.Resampling.LANCZOS)
        sheet.paste(sprite, (column * CELL + (CELL - sprite.width) // 2, (CELL - sprite.height) // 2))
    sheet.save(out / "sprites.png", optimize=True)


def draw_glyphs(out: Path) -> None:
    """Write `glyphs.png`: a row per receipt font, a column per printable ASCII character, white on black."""
    from PIL import Image, ImageDraw, ImageFont

    paths = [path for path in map(Path, RECEIPT_FONTS) if path.exists()]
    characters = [chr(code) for code in range(32, 127)]
    sheet = Image.new("L", (GLYPH_WIDTH * len(characters), GLYPH_HEIGHT * len(paths)), 0)
    draw = ImageDraw.Draw(sheet)
    for row, path in enumerate(paths):
        font = ImageFont.truetype(str(path), 8)
        size = int(8 * (GLYPH_WIDTH - 2) / font.getlength("M"))
        font = ImageFont.truetype(str(path), min(size, GLYPH_HEIGHT - 12))
        offset = (GLYPH_WIDTH - font.getlength("M")) / 2
        for column, character in enumerate(characters):
            origin = (column * GLYPH_WIDTH + offset, (row + 1) * GLYPH_HEIGHT - 16)
            draw.text(origin, character, fill=255, font=font, anchor="ls")
    sheet.save(out / "glyphs.png", optimize=True)


def draw_sheets(out: Path) -> None:
    """Write both sheets into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    draw_sprites(out)
    draw_glyphs(out)

from __future__ import annotations

import xml.etree.ElementTree as ET

from engine.teacher.curve import draw


def test_curve_is_a_picture_with_one_line_per_phase():
    """Losses 10, 1 and 0.1 lie one decade apart, so the three points of the first line are evenly spaced."""
    point = [{"step": s, "loss": x, "seconds": 1.0} for s, x in ((0, 10.0), (100, 1.0), (200, 0.1))]
    picture = ET.fromstring(draw({"phases": {"float": point, "quantised": [{"step": 220, "loss": 0.1, "seconds": 1}]}}))
    lines = picture.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2
    heights = [float(pair.split(",")[1]) for pair in lines[0].attrib["points"].split()]
    assert heights == [48.0, 140.0, 232.0]

"""Speed as ratios inside one run: ragkit beside a floor, hand-written ways and other tools."""

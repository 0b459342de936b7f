# SPDX-License-Identifier: Apache-2.0
"""Writes a few of AffectNet's lists into the folder named, without the first column's name, which the target adds."""
import os
import sys

head = "face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
points = ";".join(["12.5"] * 136)
seeds = [head + f"0/a.jpg,1,2,30,40,{points},1,0.5,-0.25\n0/b.jpg,NULL,NULL,NULL,NULL,NULL,10,-2,-2\n1/a.jpg,,,,,,7,-2,-2\n",
         head + f"0/a.jpg,-5,2.5,30,40,\"{points}\",0,1,1\n"]
for i, text in enumerate(seeds):
    with open(os.path.join(sys.argv[1], str(i)), "wb") as f:
        f.write(text.encode())

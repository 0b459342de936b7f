# SPDX-License-Identifier: Apache-2.0
"""Writes a few text files of landmarks into the folder named, each behind the letter of its reader."""
import os
import sys

five = "1.5,2,3,4,5,6,7,8,9,10"
seeds = ["cpath" + ",x" * 10 + f"\na.jpg,{five}\n\"b \"\"c\"\".jpg\",{five}\r\nd.jpg" + ",nan" * 10 + "\n",
         "cname" + ",x" * 136 + "\na.jpg" + ",7" * 136 + "\n", "c\ufeffname" + ",1" * 20 + "\na" + ",0.5" * 20,
         "la/b.jpg\t" + five.replace(",", "\t") + "\nc d.jpg " + five.replace(",", " ") + "\n",
         "pversion: 1\nn_points:  5\n{\n" + "1.0 2.5\n" * 5 + "}\n", "pversion: 1\nn_points: 68\n{\n" + "3 4\n" * 68 + "}\n",
         "upath,AU1,AU2\na.jpg,0,1\nb.jpg,,null\n\"c\",1,1\n"]
for i, text in enumerate(seeds):
    with open(os.path.join(sys.argv[1], str(i)), "wb") as f:
        f.write(text.encode())

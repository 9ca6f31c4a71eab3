"""Why a program was rejected and what to do about it: the path that led there, told in words."""

//! What is known about weaknesses: exploited, described, scored, out of support.

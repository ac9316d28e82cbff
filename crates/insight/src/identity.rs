//! What one host is, fused from everything it was seen to say.

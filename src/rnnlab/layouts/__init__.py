"""How a task enters and leaves a recurrent net: what stands before it, after it, and how it is decoded."""

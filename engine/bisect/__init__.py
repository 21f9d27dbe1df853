"""Where do two backends part, and whose fault is it?

Two sides run the same model on the same tokens; the first place where an operation is wrong is to be named. Three
questions are asked at every place that `engine.trace` names, and none of them by a fixed cosine:

1. *How much may rounding cost here?* The answer is a floor, of this place, this model and these tokens. It is measured
   with witnesses (`witness`): arithmetic that is right by construction and differs in the order of its sums, and in the
   rounding of activations, keys and values that a side says it does. A floor is `MARGIN` times the largest distance of
   a witness from the same arithmetic in float64 (`double`), over all positions, for two measures (`distance`): the root
   mean square over channels, and the worst channel. Both are relative to each channel's own size, so that an outlier
   channel hides nothing. A margin of 3 is more than twice what right backends beside the witnesses were seen to need.

2. *Is this operation wrong?* (`replay`) It is compared with float64 on the very input that the side had, read from its
   taps; the witnesses get this input too. What was wrong before does not count, and an operation that is off by twice
   its floor is seen in the last layer of a deep model as well as in the first. This works on recorded taps, so on every
   backend, fused or not, and on files. The converse is the graft: the suspect operation is run once more, alone, on the
   reference's input. If it is right there, the mistake is around it: in a fusion, a cache, a buffer.

3. *Have the two parted by now?* (`free`) Whole forwards are compared, errors inherited from before included. The floor
   here is how far whole forwards of the witnesses drift from the golden forward: it grows with depth as theirs do.

The verdict (`judge`) rests on 2, and says so if 3 shows more than 2 explains. Without `--golden`, a is the reference:
b may be wrong, a may be too noisy to say so. With `--golden fp64` both are held to their own precision alike.

A side claims a precision by its run record. q8 is not wrong for being q8; it is held to a floor of q8, and as a
reference it cannot judge float32. No precision excuses an operation that is further off than this precision explains.

Memory: a side's taps go to disk as they come (`store`) and are read back one place at a time.

Not here: whether both sides compute the right thing. If a weight is decoded wrongly by the codec that the reference
uses as well, all three agree; `falsifiers` compare codecs with other implementations.
"""

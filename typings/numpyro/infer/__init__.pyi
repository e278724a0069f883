from numpyro.infer import hmc as hmc, util as util

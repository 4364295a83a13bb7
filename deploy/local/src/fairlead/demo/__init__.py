"""The load of ``fairlead up --demo``: gentle, synthetic, with a fault now and then, so that everything moves."""

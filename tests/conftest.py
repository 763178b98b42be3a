from hypothesis import HealthCheck, settings

# How fast the machine is decides no test.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")

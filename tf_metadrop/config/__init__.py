"""Settings: `config.py` declares them, `setting.py` says what a setting is, `identity.py` what sets two runs apart."""

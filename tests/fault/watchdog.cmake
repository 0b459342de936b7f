# SPDX-License-Identifier: Apache-2.0
fct_script_test(watchdog_stopped.py LABEL fault TIMEOUT 240 RANKS 3)
fct_script_test(watchdog_hangs.py LABEL fault TIMEOUT 300 RANKS 2)
fct_script_test(watchdog_quiet.py LABEL fault TIMEOUT 240 RANKS 2)
fct_script_test(watchdog_slow.py LABEL fault TIMEOUT 180 RANKS 3)
fct_script_test(watchdog_soak.py LABEL fault TIMEOUT 120 RANKS 3)

# SPDX-License-Identifier: Apache-2.0
# Several hosts out of network namespaces; need root.
fct_script_test(hosts_same.py LABEL fault TIMEOUT 300 RANKS 2)
fct_script_test(hosts_network.py LABEL fault TIMEOUT 300 RANKS 2)
fct_script_test(hosts_cut.py LABEL fault TIMEOUT 400 RANKS 2)
fct_script_test(hosts_loss.py LABEL fault TIMEOUT 400 RANKS 2)
fct_script_test(hosts_launcher.py LABEL fault TIMEOUT 400 RANKS 2)
fct_script_test(hosts_data_link.py LABEL fault TIMEOUT 400 RANKS 2)
fct_script_test(hosts_watchdog.py LABEL fault TIMEOUT 400 RANKS 2)

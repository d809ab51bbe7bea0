"""Which addresses a host loads: an engine of any lab of the cluster, and nothing of the public network."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from app.cluster.agent import Agent


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "10.0.0.4", "172.16.0.1", "192.168.1.2", "fd00::1"])
def test_a_host_loads_loopback_and_private_addresses(host: str) -> None:
    Agent().check_target(host)


@pytest.mark.parametrize("host", ["8.8.8.8", "172.32.0.1", "2606:4700::1", "::ffff:8.8.8.8"])
def test_a_host_does_not_load_a_public_address(host: str) -> None:
    with pytest.raises(ValueError, match=rf"{host} is not among the addresses that this host may load"):
        Agent().check_target(host)


def test_networks_of_the_operator_replace_the_default() -> None:
    agent = Agent([ip_network("10.0.0.0/24"), ip_network("203.0.113.7/32")])
    agent.check_target("10.0.0.4")
    agent.check_target("203.0.113.7")
    for host in ("10.0.1.4", "127.0.0.1", "203.0.113.8", "::1"):
        with pytest.raises(ValueError, match="--targets"):
            agent.check_target(host)


def test_a_name_is_no_address() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        Agent().check_target("localhost")

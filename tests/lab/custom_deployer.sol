// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

interface IntegralFactory {
    function createCustomPool(
        address deployer,
        address creator,
        address tokenA,
        address tokenB,
        bytes calldata data
    ) external returns (address);
}

// What an Algebra Integral factory calls a custom deployer: it asks for pools under its own name, and the factory
// calls its hooks before and after. Its pools have no plugin.
contract CustomDeployer {
    function create(IntegralFactory factory, address tokenA, address tokenB) external returns (address) {
        return factory.createCustomPool(address(this), msg.sender, tokenA, tokenB, "");
    }

    function beforeCreatePoolHook(
        address,
        address,
        address,
        address,
        address,
        bytes calldata
    ) external pure returns (address plugin) {
        return address(0);
    }

    function afterCreatePoolHook(address, address, address) external {}
}

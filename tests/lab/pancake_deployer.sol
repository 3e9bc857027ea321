// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

// Stands in for PancakeSwap's pool deployer, of which no package holds bytecode. Pools are born by CREATE2 from the
// deployer with the salt keccak256(abi.encode(token0, token1, fee)), and their constructor reads parameters() of it.
contract PancakeDeployer {
    struct Parameters {
        address factory;
        address token0;
        address token1;
        uint24 fee;
        int24 tickSpacing;
    }

    Parameters public parameters;
    address public factoryAddress;
    bytes private creation;

    constructor(bytes memory creation_) {
        creation = creation_;
    }

    function setFactoryAddress(address factory) external {
        require(factoryAddress == address(0), "set already");
        factoryAddress = factory;
    }

    function deploy(
        address factory,
        address token0,
        address token1,
        uint24 fee,
        int24 tickSpacing
    ) external returns (address pool) {
        require(msg.sender == factoryAddress, "not the factory");
        parameters = Parameters(factory, token0, token1, fee, tickSpacing);
        bytes memory code = creation;
        bytes32 salt = keccak256(abi.encode(token0, token1, fee));
        assembly {
            pool := create2(0, add(code, 32), mload(code), salt)
        }
        require(pool != address(0), "pool not born");
        delete parameters;
    }
}
